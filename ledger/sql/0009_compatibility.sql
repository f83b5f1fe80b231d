-- Which programs can run on this ledger, so that two versions of the program can stand side by side while one takes
-- over from the other. A file says it in a line `-- program_min: 9`: the oldest program that can run once the file is
-- applied, by the newest file that this program knows. A file that doesn't say it (null) asks for programs that know it.
ALTER TABLE ledger.migration ADD COLUMN program_min int CHECK (program_min <= number);
