"""mlopsctl: parse, call, render; decides nothing."""
