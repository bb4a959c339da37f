"""TLS with the broker, from the three files that `[broker]` may name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from router.config.settings import BrokerSettings
from router.errors import ConfigError

if TYPE_CHECKING:
    import ssl  # which takes longer to load than a small command


def tls_faults(broker: BrokerSettings) -> Iterator[tuple[str, str]]:
    """Yield key and fault of what is wrong with the files."""
    named = {name: getattr(broker, name) for name in ("ca_file", "cert_file", "key_file")}
    given = {name: file for name, file in named.items() if file}
    if bool(broker.cert_file) != bool(broker.key_file):
        yield "cert_file" if broker.cert_file else "key_file", "cert_file and key_file belong together"
    elif not broker.url.startswith("amqps:"):
        yield from ((name, "needs an amqps:// url") for name in given)
    elif missing := [(name, f"there is no file {file}") for name, file in given.items() if not Path(file).is_file()]:
        yield from missing
    elif given:
        try:
            tls_context(broker)
        except ConfigError as error:
            name, _, fault = str(error).partition(": ")
            yield name.removeprefix("broker."), fault


def tls_context(broker: BrokerSettings) -> "ssl.SSLContext":
    """Return what `amqps://` connects with. Raises `ConfigError` naming the files that cannot be used."""
    import ssl

    with _named("ca_file", broker.ca_file, f"{broker.ca_file} holds no certificate in PEM"):
        context = ssl.create_default_context(cafile=broker.ca_file or None)
    if broker.cert_file:
        files = f"{broker.cert_file} and {broker.key_file}"
        with _named("cert_file", files, f"{files} are not a certificate and its key in PEM, without a passphrase"):
            # An empty passphrase, or OpenSSL would ask for one on the terminal.
            context.load_cert_chain(broker.cert_file, broker.key_file or None, password="")
    return context


@contextmanager
def _named(name: str, files: str, otherwise: str) -> Iterator[None]:
    import ssl

    from router.causes import of_file

    try:
        yield
    except ssl.SSLError:
        raise ConfigError([f"broker.{name}: {otherwise}"]) from None
    except OSError as error:
        raise ConfigError([f"broker.{name}: {of_file(error, files)}"]) from None
