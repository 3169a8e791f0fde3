"""What moves events: Faust apps, the runs table and the command line."""
