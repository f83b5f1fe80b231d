"""What banks say, and what they are told: statements in, payments out."""
