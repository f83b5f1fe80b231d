"""What the product can do, measured on the machine at hand, beside what the machine's disk and database can do bare."""
