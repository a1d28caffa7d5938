"""Reducing arrays: layers chosen, tokens pooled, heads and pieces merged. Pure: arrays in, arrays out."""
