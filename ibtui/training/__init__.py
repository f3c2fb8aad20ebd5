"""Training: engines that run epochs, and the trainer that measures between them."""
