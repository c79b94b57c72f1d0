"""Data entry: what points report by sheet and by form, and by when. No web in here."""
