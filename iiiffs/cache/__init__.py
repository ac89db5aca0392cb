"""What may be lost: facts, documents and renditions in one LMDB environment."""
