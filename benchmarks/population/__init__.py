"""What training many trials as one program gains over training them one after another."""
