CREATE TABLE kept (number bigint PRIMARY KEY);
