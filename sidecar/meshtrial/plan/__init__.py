"""YAML text -> Plan: `load` is the one way in."""
