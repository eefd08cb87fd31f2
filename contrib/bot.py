#!/usr/bin/env python3
"""A bot for qchat, in the standard library alone: answers `!time` and `!echo …` in the rooms that it is in.

It starts `qchat rpc` and speaks JSON-RPC 2.0 with it, a line each. Give the profile as for any other command:

    QCHAT_PROFILE=bot QCHAT_PASSPHRASE_FILE=bot.pass contrib/bot.py [ROOM…]
"""

import datetime
import json
import queue
import subprocess
import sys
import threading

rpc = subprocess.Popen(["qchat", "rpc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
lines = queue.SimpleQueue()
last = 0


def read():
    """Reads always: while neither side reads what the other one writes, both wait for ever."""
    for line in rpc.stdout:
        lines.put(line)
    lines.put(None)


def call(method, **params):
    """Asks; the answer comes among the lines that are read below."""
    global last
    last += 1
    rpc.stdin.write(json.dumps({"jsonrpc": "2.0", "id": last, "method": method, "params": params}) + "\n")
    rpc.stdin.flush()


def answer(text):
    """What the bot says to a message; None: nothing."""
    if text == "!time":
        return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    if text.startswith("!echo "):
        return text.removeprefix("!echo ")
    return None


threading.Thread(target=read, daemon=True).start()
call("subscribe", rooms=sys.argv[1:])
call("whoami")
me = None
for line in iter(lines.get, None):
    said = json.loads(line)
    if "error" in said:
        print(said["error"]["message"], file=sys.stderr)
    elif said.get("id") == 2:
        me = said["result"]["results"][0]["name"]
    elif said.get("method") == "message":
        message = said["params"]
        # A bot that answers itself never ends. What becomes of an earlier message comes as that message with a "change".
        if message["type"] == "text" and message["sender"] != me and "change" not in message:
            reply = answer(message["body"])
            if reply:
                call("send", room=message["room_id"], text=reply)
sys.exit(rpc.wait())
