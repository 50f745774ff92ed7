"""Choosing honestly: is one score above another, or is the difference noise?"""
