"""What a call is: pure, standard library only."""
