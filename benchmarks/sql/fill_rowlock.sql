-- {holders} holders with a card and 220.00 each, in one product, and 100 merchants.
INSERT INTO rowlock.merchant SELECT number, true FROM generate_series(1, 100) AS number;
INSERT INTO rowlock.card SELECT number, number, 90, true FROM generate_series(1, {holders}) AS number;
INSERT INTO rowlock.balance SELECT number, 90, 22000 FROM generate_series(1, {holders}) AS number;
