"""Measurements that anyone can run again; what they print is committed beside them."""
