"""Puts 32 MiB to the URL in the first argument, 20 times, and prints status and error code of each answer."""

import http.client
import re
import ssl
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
body = bytes(32 << 20)
for _ in range(20):
    try:
        if url.scheme == "https":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        connection.request("PUT", url.path, body)
        response = connection.getresponse()
        text = response.read().decode()
        code = re.search(r"<Code>(\w+)</Code>", text)
        print(response.status, code.group(1) if code else "no code", flush=True)
        connection.close()
    except Exception as error:
        print("error", repr(error), flush=True)
