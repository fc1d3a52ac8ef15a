"""What simulated peers live in: time, processes, network and ledger, and the judge who watches them."""
