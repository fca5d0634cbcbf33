"""What callers have used, and whether there is more: sliding windows and concurrency leases.

contract.py     the words: bounds, asks, answers; the seams Budget and Leases
"""
