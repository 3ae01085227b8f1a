"""Stories that want a network of their own: run by a test outside, in a namespace that ends with them."""
