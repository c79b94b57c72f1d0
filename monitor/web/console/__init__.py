"""The console: the pages on which people review, report and decide. docs/console.md says how pages are made."""
