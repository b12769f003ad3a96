"""Models on disk: packaged ones, folders, tokenizers, the sentence encoder, fingerprints."""
