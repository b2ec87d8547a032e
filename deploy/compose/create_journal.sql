-- Paid answers have a database of their own, so that it is backed up, and kept, apart from Dagster's history.
CREATE DATABASE journal;
