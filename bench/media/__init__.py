"""What media jobs cost: to accept, to listen to, to make, and to wait for."""
