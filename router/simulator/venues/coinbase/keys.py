"""The keys of the simulated Coinbase accounts: published test vectors, worthless anywhere else."""

from typing import Final

KEY_NAME: Final = "organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-00000000000"
ES256_KEY: Final = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49
AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8
maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
-----END EC PRIVATE KEY-----
"""
"""The P-256 key of RFC 6979, appendix A.2.5."""
ED25519_KEY: Final = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="
"""The first test key of RFC 8032, section 7.1, in the form the portal shows."""
