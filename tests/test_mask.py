"""What is kept or leaves the house holds no path, no internal address, no secret and nothing of a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mask import deidentify, mask, mask_secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at /home/ada/models/v2.pt line 3", "at [path] line 3"),
        ("磁盘 /data 使用率", "磁盘 [path] 使用率"),
        ('open("/etc/passwd")', 'open("[path]")'),
        ("path=/srv/x, next", "path=[path], next"),
        ("vol:/data/x", "vol:[path]"),
        ("~/.ssh/id_rsa", "[path]"),
        ("file:///home/ada/x", "[path]"),
        (r"C:\Users\ada\model.pt failed", "[path] failed"),
        (r"\\nas\share\x", "[path]"),
        ("10.0.0.12:8000 refused", "[address]:8000 refused"),
        ("from 192.168.1.7, 172.16.0.1 and 127.0.0.1", "from [address], [address] and [address]"),
        ("fe80::1 and ::1", "[address] and [address]"),
        ("db.prod.internal is gone", "[host] is gone"),
        # what says nothing about the inside stays
        ("/health/ready answers 503; see /metrics", "/health/ready answers 503; see /metrics"),
        ("https://example.com/runbooks/disk", "https://example.com/runbooks/disk"),
        ("8.8.8.8 and 2606:4700::1111", "8.8.8.8 and 2606:4700::1111"),
        ("12 GB/s and/or 10:30:05 at 1.5 / 2", "12 GB/s and/or 10:30:05 at 1.5 / 2"),
        ("version 2.13.0", "version 2.13.0"),
        ("/", "/"),
    ],
)
def test_paths_and_internal_addresses_are_masked(text: str, masked: str) -> None:
    assert deidentify(text) == masked


@given(st.text())
def test_masking_never_crashes_and_is_done_after_one_pass(text: str) -> None:
    once = deidentify(text)
    assert deidentify(once) == once


@given(st.lists(st.from_regex(r"[a-z0-9_.]{1,8}", fullmatch=True), min_size=2, max_size=5))
def test_no_absolute_path_survives(parts: list[str]) -> None:
    path = "/" + "/".join(["srv", *parts])
    assert path not in deidentify(f"cannot read {path} today")


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fd00::/8"))
def test_no_private_address_survives(address: object) -> None:
    assert str(address) not in deidentify(f"no route to {address} today")


_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw"
_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQ\nEAx7\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
        ('{"Authorization": "Basic dXNlcjpwYXNz"}', '{"Authorization": "Basic [secret]"}'),
        ("curl -H 'Proxy-Authorization: Digest a=b, c=d'", "curl -H 'Proxy-Authorization: Digest [secret]'"),
        ("sent Bearer abcd1234efgh", "sent Bearer [secret]"),
        ("key sk-abcdefgh12345678XYZ was refused", "key [secret] was refused"),
        ("push with ghp_0123456789abcdefghijABCDEFGHIJ012345", "push with [secret]"),
        ("AKIAIOSFODNN7EXAMPLE is not allowed", "[secret] is not allowed"),
        ("slack xoxb-123456789012-abcdefGHIJ", "slack [secret]"),
        ("login with hf_abcdefghijklmnopqrstuvwxyz", "login with [secret]"),
        (f"jwt {_JWT} expired", "jwt [secret] expired"),
        ("wl_abcdefghijklmnopqrstuvwxyz012345", "[secret]"),
        (
            "https://hooks.slack.com/services/T0/B0/xyz answers 404",
            "https://hooks.slack.com/services/[secret] answers 404",
        ),
        (
            "https://open.feishu.cn/open-apis/bot/v2/hook/0a1b-2c",
            "https://open.feishu.cn/open-apis/bot/v2/hook/[secret]",
        ),
        ("send?key=693a91f6-7abc-4bc4-97a0-0ec2bfa5aaaa", "send?key=[secret]"),
        ("password=hunter2&user=ada", "password=[secret]&user=ada"),
        ('"password": "hun \\"ter2", "b": 1', '"password": "[secret]", "b": 1'),
        (r"{\"password\": \"abc\", \"u\": 1}", r"{\"password\": \"[secret]\", \"u\": 1}"),
        ("db_password: hunter2", "db_password: [secret]"),
        ("DB_PASSWORD='hun ter2'", "DB_PASSWORD='[secret]'"),
        ("dbPassword = hunter2;", "dbPassword = [secret];"),
        ("--password hunter2 --port 80", "--password [secret] --port 80"),
        ("--api-key=local --max-tokens 5", "--api-key=[secret] --max-tokens 5"),
        ("api_key=['token-abc123'], x=1", "api_key=['[secret]'], x=1"),
        ("client.secret=>s3cr3t", "client.secret=>[secret]"),
        ("?access_token=abcd&lang=en", "?access_token=[secret]&lang=en"),
        ("Password=a,b;User=x", "Password=[secret];User=x"),
        ("(user=a,password=b,host=c)", "(user=a,password=[secret],host=c)"),
        ("密码：abc123，重试", "密码：[secret]，重试"),
        ("postgres://app:p@ss@db/x", "postgres://[secret]@db/x"),
        ("Cookie: sid=abc; theme=dark", "Cookie: [secret]"),
        ("'set-cookie': 'a=b; Path=/'", "'set-cookie': '[secret]'"),
        (f"before {_KEY} after", "before [secret] after"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEcut", "[secret]"),
        ("all well\nMIIEpAIBAAKCAQEAx7\nEAx7MIIEpAIBAAKCAQ==\n-----END PRIVATE KEY-----\nok", "all well\n[secret]\nok"),
        ("mail ada.l+x@example.co.uk failed", "mail [email] failed"),
        ("联系admin@example.com或13812345678", "联系[email]或[number]"),
        ("call +86 138-1234-5678 or +1 555 123 4567", "call [number] or [number]"),
        ("id 11010519491231002X", "id [number]"),
        ("card 4111 1111 1111 1111 and 4111111111111111", "card [number] and [number]"),
        ('{"phone": "13812345678"}', '{"phone": "[number]"}'),
    ],
)
def test_secrets_and_people_are_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


#: Lines as these programs write them, which say nothing that must be hidden.
_ORDINARY = [
    # nginx
    '203.0.113.7 - - [22/Nov/2026:01:05:01 +0000] "POST /predict HTTP/1.1" 200 612 "-" "curl/7.88.1" 0.012',
    "2026/11/22 01:05:01 [error] 31#31: *7 connect() failed (111: Connection refused) while connecting to upstream",
    "2026/11/22 01:05:01 [warn] 31#31: *9 an upstream response is buffered to a temporary file",
    # vLLM
    "INFO 11-22 01:05:01 [metrics.py:455] Avg prompt throughput: 12.3 tokens/s, Avg generation throughput: 98.1 "
    "tokens/s, Running: 3 reqs, Swapped: 0 reqs, Pending: 0 reqs, GPU KV cache usage: 1.2%, CPU KV cache usage: 0.0%.",
    "INFO 11-22 01:05:01 [logger.py:39] Received request chatcmpl-7f2e0c9be8d84f31: prompt: 'Hi', params: "
    "SamplingParams(n=1, temperature=0.7, stop_token_ids=[], max_tokens=512, pad_token=</s>), prompt_token_ids: [1, 2]",
    "INFO 11-22 01:05:01 api_server.py:528] args: Namespace(api_key=None, ssl_keyfile=None, hf_token=None, seed=0)",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.64 GiB "
    "of which 1.06 GiB is free. Process 13312 has 22.57 GiB memory in use.",
    "Tried to allocate 17179869184 bytes, total_memory=17179869184, time_ns 1763773501123456789",
    # ComfyUI
    "got prompt",
    "Prompt executed in 31.42 seconds",
    "Requested to load SDXLClipModel",
    "loaded completely 9.5367431640625e+25 1560.802734375 True",
    "!!! Exception during processing !!! Allocation on device",
    "Failed to validate prompt for output 9: * CheckpointLoaderSimple 4: - Value not in list: ckpt_name",
    # Triton
    "I1122 01:05:01.123456 1 server.cc:674] | resnet | 1 | READY |",
    "E1122 01:05:01.123456 1 model_lifecycle.cc:621] failed to load 'resnet' version 1: Internal: unable to create "
    "stream: out of memory",
    "I1122 01:05:01.123456 1 grpc_server.cc:2513] Started GRPCInferenceService at 0.0.0.0:8001".replace(
        "0.0.0.0:", ":"
    ),
    # systemd and the kernel
    "Nov 22 01:05:01 gpu1 systemd[1]: user@1000.service: Succeeded.",
    "Nov 22 01:05:01 gpu1 systemd[1]: comfyui.service: Main process exited, code=killed, status=9/KILL",
    "Nov 22 01:05:01 gpu1 systemd[1]: Started Session 42 of User ada.",
    "Nov 22 01:05:01 gpu1 sshd[4242]: Failed password for invalid user root from 203.0.113.9 port 51234 ssh2",
    "Nov 22 01:05:01 gpu1 kernel: Out of memory: Killed process 31337 (python3) total-vm:48512344kB",
    "python3[31337]: segfault at 7f2e0c9be8d8 ip 00007f2e0c9be8d8 sp 00007ffd43a1b2c0 error 4 in libcuda.so.535",
    # Python
    "Traceback (most recent call last):\n  File \"<stdin>\", line 1, in <module>\nKeyError: 'token'",
    "json.decoder.JSONDecodeError: Unexpected token: < at line 1 column 2 (char 1)",
    "ValueError: not enough values to unpack (expected 2, got 1)",
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x768 and 1024x1024)",
    "PermissionError: authorization failed: token expired; enter a password to continue",
    "Basic authentication is off; bearer authentication is on",
    "request_id=01937a3f2c8e5d4b9a7c level=info event=predicted ms=41.7 sha256:9f86d081884c7d659a2feaa0c55ad015",
    "key: value, keys=3, monkey=1, session: opened, primary key=id, cookie: none, passed=12 failed=0",
    "commit 4ccbab5a, build 1763773501, port 8188, pid 13812, uuid 7f2e0c9b-e8d8-4f31-9a7c-01937a3f2c8e",
]


@pytest.mark.parametrize("line", _ORDINARY)
def test_ordinary_lines_stay_as_they_are(line: str) -> None:
    assert mask_secrets(line) == line


#: What masks are made for, and what is between: anything may stand beside anything.
_PARTS = st.sampled_from(
    [
        "password",
        "token",
        "key",
        "=",
        ": ",
        '"',
        "'",
        "\\",
        "&",
        ",",
        ";",
        " ",
        "\n",
        "[secret]",
        "[path]",
        "[email]",
        "Bearer ",
        "Authorization: ",
        "Cookie: ",
        "a=b",
        "://",
        "@",
        "user:pw@",
        "sk-abcdefgh12345678",
        "eyJhbGciOiJ.abcd",
        "ada@example.com",
        "13812345678",
        "4111 1111 1111 1111",
        "11010519491231002X",
        "/srv/x",
        "10.0.0.1",
        "--",
        "[",
        "]",
        "(",
        ")",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "db.internal",
        "密码：",
        "%3D",
        "x",
    ]
)


@given(st.lists(_PARTS | st.text(max_size=3), max_size=14).map("".join))
def test_what_has_been_masked_does_not_change_again(text: str) -> None:
    once = mask(text)
    assert mask(once) == once
    assert mask_secrets(mask_secrets(text)) == mask_secrets(text)


@given(
    st.from_regex(r"[A-Za-z0-9!$%^*+~-]{4,20}", fullmatch=True), st.sampled_from(["password", "db_passwd", "SECRET"])
)
def test_no_password_survives(password: str, name: str) -> None:
    password = "Z9" + password
    for text in (f"{name}={password}", f'"{name}": "{password}"', f"{name}: {password}", f"--{name} {password} -v"):
        assert password not in mask_secrets(text)


@pytest.mark.parametrize(
    "part",
    [
        "key=",
        "password=/",
        'token="',
        "key='",
        "a",
        "a.",
        "a-",
        " ",
        "eyJaaaaaaaa-",
        "://",
        "://a@",
        "a@a.",
        "1",
        "1 ",
        "/a",
        "[",
        "\\",
        '\\"',
        "cookie:",
        "authorization: a ",
        "-----BEGIN PRIVATE KEY-----",
        "sk-",
        "AKIA",
        "bearer ",
        "=",
        ",",
        "::",
        "1.",
        "\\\\a",
        "a:\\",
        "file://",
        "password=,",
        "session=\\",
    ],
)
def test_a_hostile_line_takes_no_more_than_its_length(part: str) -> None:
    text = part * (64 * 1024 // len(part))
    assert len(mask(text)) <= 4 * len(text)
