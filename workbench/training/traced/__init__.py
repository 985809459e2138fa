"""What a step of training allocates, found by running it on tensors without data; runs in a process of its own."""
