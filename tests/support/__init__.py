"""What tests share: each helper states what it waits for, and fails with the context."""
