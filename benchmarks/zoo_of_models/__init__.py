"""Public architectures and loops, built small, each recorded by ``gradscope.attach``."""
