-- An attempt's row is written when the attempt is over: until then the command's own row says that it was begun.
drop index attempts_open;
