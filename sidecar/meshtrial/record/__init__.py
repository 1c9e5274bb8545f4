"""Decision -> span: what is written down of each assignment."""
