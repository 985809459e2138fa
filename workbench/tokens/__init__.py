"""Numbers: token ids, labels with their reasons, packed and padded batches."""
