"""Language models as judges: what they are asked, what their replies say, and how far they can be trusted."""
