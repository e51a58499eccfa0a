"""What both stores do with the same statements: functions on a connection, each run inside one transaction."""
