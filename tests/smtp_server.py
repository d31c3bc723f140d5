"""A mail server that is not ours, for tests: aiosmtpd on a free port of the loopback.

Prints its port, then appends a line `message-id<TAB>sender<TAB>recipients<TAB>
the client's port` to RECORD for each message that it takes, and keeps the bytes
in a file of the record's name and the line's number. It stops when its input is
closed.

The recipient's name says what goes wrong:
    later-…    refused for now, the first time
    never-…    refused for good
    broken-…   taken, but the connection breaks before the answer, the first time
    odd-…      answered by something that is no answer, the first time
    gone-…     the connection breaks before the recipient is answered, the first time
    last-…     taken, and no other is after it
A sender whose name begins with `refused-` is refused for good.
"""

import asyncio
import email
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, record):
        self.record = record
        self.count = 0
        self.met = set()
        self.is_closing = False

    def first_time(self, address):
        is_first = address not in self.met
        self.met.add(address)
        return is_first

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.is_closing:
            return "421 4.3.2 going down"
        if address.startswith("refused-"):
            return "550 5.7.1 no such sender"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone-") and self.first_time(address):
            server.transport.abort()
        if address.startswith("never-"):
            return f"550 5.1.1 <{address}>: no such mailbox"
        if address.startswith("later-") and self.first_time(address):
            return f"450 4.2.1 <{address}>: come back later"
        if address.startswith("odd-") and self.first_time(address):
            return f"what is {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        with open(f"{self.record}.{self.count}", "wb") as file:
            file.write(envelope.original_content)
        message_id = email.message_from_bytes(envelope.content)["Message-ID"]
        recipients = ",".join(envelope.rcpt_tos)
        with open(self.record, "a") as file:
            cells = message_id, envelope.mail_from, recipients, session.peer[1]
            print(*cells, sep="\t", file=file)
        for address in envelope.rcpt_tos:
            self.is_closing |= address.startswith("last-")
            if address.startswith("broken-") and self.first_time(address):
                server.transport.abort()
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"shop", b"secret")
    return AuthResult(success=known, handled=False)


async def main(record, certificate=None, key=None):
    options = {}
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        options = {
            "tls_context": context,
            "require_starttls": True,
            "authenticator": login,
            "auth_required": True,
        }
    handler = Handler(record)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
