"""What is kept, one file for each noun, each query beside the verb of the audit log that it falls under."""
