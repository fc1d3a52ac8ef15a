"""What people see of a town: its console, its status, its summary, its picture, the audit of its books."""
