"""Routing files, good and bad, on which Alertmanager's verdict and ours are compared."""

from __future__ import annotations

#: What stands under one receiver.
RECEIVERS = (
    "opsgenie_configs: [{api_key: k, api_key_file: f}]",
    "opsgenie_configs: [{api_url: 'http://x/', api_key: k}]",
    "opsgenie_configs: [{api_url: 'http://x/', api_key_file: k}]",
    "opsgenie_configs: [{api_key: k, responders: [{name: n, type: team}]}]",
    "opsgenie_configs: [{api_key: k, responders: [{name: n}]}]",
    "opsgenie_configs: [{api_key: k, responders: [{type: team}]}]",
    "sns_configs: [{topic_arn: a, target_arn: b, sigv4: {}}]",
    "sns_configs: [{sigv4: {}}]",
    "sns_configs: [{topic_arn: a, target_arn: b, phone_number: c, sigv4: {}}]",
    "sns_configs: [{topic_arn: a, sigv4: {access_key: x}}]",
    "telegram_configs: [{bot_token: x, chat_id: '5'}]",
    "telegram_configs: [{bot_token: x, chat_id: -100}]",
    "telegram_configs: [{bot_token: x}]",
    "telegram_configs: [{chat_id: 1}]",
    "telegram_configs: [{bot_token: x, chat_id: 1, parse_mode: html}]",
    "webhook_configs: [{}]",
    "webhook_configs: [{url: 'ftp://x'}]",
    "webhook_configs: [{url: 'http://'}]",
    "webhook_configs: [{url: 'http://x', max_alerts: -1}]",
    "webhook_configs: [{url: 'http://x', send_resolved: 'true'}]",
    "webhook_configs: [{url: 'http://x', send_resolved: yes}]",
    "webhook_configs: [{url: 'http://x', send_resolved: 1}]",
    "webhook_configs: [{url: 'http://a b/'}]",
    "webhook_configs: [{url: 'http://x:port/'}]",
    "webhook_configs: [{url: <secret>}]",
    "slack_configs: [{api_url: <secret>}]",
    "victorops_configs: [{api_key: k}]",
    "victorops_configs: [{api_key: k, api_key_file: f, routing_key: r}]",
    "victorops_configs: [{api_key: k, routing_key: r, custom_fields: {entity_id: x}}]",
    "wechat_configs: [{api_secret: s}]",
    "wechat_configs: [{api_secret: s, corp_id: c, message_type: x}]",
    "pagerduty_configs: [{}]",
    "pagerduty_configs: [{service_key: a, service_key_file: b}]",
    "pushover_configs: [{token: t}]",
    "pushover_configs: [{user_key: u, token: t, retry: 1x}]",
    "pushover_configs: [{user_key: u, token: t, retry: 1.5m, expire: 1h}]",
    "pushover_configs: [{user_key: u, token: t, retry: 1d}]",
    "slack_configs: [{}]",
    "slack_configs: [{api_url: 'http://x', fields: [{title: t}]}]",
    "slack_configs: [{api_url: 'http://x', actions: [{type: t, text: x}]}]",
    "slack_configs: [{api_url: 'http://x', actions: [{type: t, text: x, name: n, confirm: {title: x}}]}]",
    "webex_configs: [{room_id: r}]",
    "discord_configs: [{}]",
    "webex_configs: [{http_config: {authorization: {credentials: x}}}]",
    "email_configs: [{to: a@b, from: c, smarthost: 'h'}]",
    "email_configs: [{to: a@b, from: c, smarthost: ':25'}]",
    "email_configs: [{to: a@b, from: c, smarthost: 'h:'}]",
    "email_configs: [{to: a@b, from: c, smarthost: 'h:25', headers: {a: b, A: c}}]",
    "email_configs: [{from: c, smarthost: 'h:25'}]",
    "email_configs: [{to: a@b, from: c}]",
    "email_configs: [{to: a@b, smarthost: 'h:25'}]",
    "email_configs: [{to: '', from: c, smarthost: 'h:25'}]",
    "webhook_configs: [{url: 'http://x', http_config: {bearer_token: a, bearer_token_file: b}}]",
    "webhook_configs: [{url: 'http://x', http_config: {basic_auth: {username: a}, bearer_token: b}}]",
    "webhook_configs: [{url: 'http://x', http_config: {basic_auth: {username: a, password: b, password_file: c}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {authorization: {type: basic, credentials: x}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {authorization: {credentials: x, credentials_file: y}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {authorization: {credentials: x}, bearer_token: y}}]",
    "webhook_configs: [{url: 'http://x', http_config: {authorization: {credentials: x}, basic_auth: {username: y}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {oauth2: {client_id: x, client_secret: y, token_url: z}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {oauth2: {client_id: x}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {tls_config: {cert_file: x}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {tls_config: {min_version: TLS12}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {tls_config: {min_version: x}}}]",
    "webhook_configs: [{url: 'http://x', http_config: {proxy_url: 'http://p'}}]",
    "webhook_configs: [{url: 'http://x', http_config: {proxy_url: 'p p'}}]",
    "webhook_configs: {}",
    "webhook_configs: x",
    "webhook_configs: [x]",
    "webhook_configs: ",
    "foo: x",
)

#: Whole files.
FILES = (
    "",
    "{}",
    "route: {receiver: a}",
    "receivers: [{name: a}]",
    "route: {receiver: b}\nreceivers: [{name: a}]",
    "route: {}\nreceivers: [{name: a}]",
    "route: {receiver: a, match: {x: y}}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{match: {x: }}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{match_re: {x: }}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{match_re: {x: '('}}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{match: {'1x': y}}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{matchers: ['x=y', 'a=~b']}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{matchers: 'x=y'}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{matchers: ['x']}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{matchers: ['{x=y,z=w}']}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{matchers: ['']}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: ['...', x]}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: ['...']}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: [x,x]}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: ['1x']}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: x}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: ['']}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_interval: 0s}\nreceivers: [{name: a}]",
    "route: {receiver: a, repeat_interval: 0s}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_wait: 0s}\nreceivers: [{name: a}]",
    "route: {receiver: a, mute_time_intervals: [n]}\nreceivers: [{name: a}]\ntime_intervals: [{name: n}]",
    "route: {receiver: a, routes: [{mute_time_intervals: [n]}]}\nreceivers: [{name: a}]\ntime_intervals: [{name: n}]",
    "route: {receiver: a, routes: [{mute_time_intervals: [m]}]}\nreceivers: [{name: a}]\ntime_intervals: [{name: n}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{name: n},{name: n}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\nmute_time_intervals: [{name: n}]\ntime_intervals: [{name: n}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{time_intervals: [{weekdays: [monday]}]}]",
    "route: {receiver: a}\nreceivers: [{name: a},{name: a}]",
    "route: {receiver: a}\nreceivers: [{}]",
    "route: {receiver: a}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\nfoo: x",
    "global: {resolve_timeout: 0s}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\n"
    "inhibit_rules: [{source_match: {a: b}, target_match: {c: d}, equal: ['1']}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: [{}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\n"
    "inhibit_rules: [{source_matchers: ['a=b'], target_matchers: ['c=~d'], equal: [x]}]",
    "route: {receiver: a}\nreceivers: [{name: a}]\ntemplates: ['/nonexistent/*.tmpl']",
    "x: &x {receiver: a}\nroute: *x\nreceivers: [{name: a}]",
    "route: &x {receiver: a, routes: [{<<: *x}]}\nreceivers: [{name: a}]",
    "route: {receiver: 5}\nreceivers: [{name: 5}]",
    "route: {receiver: a, continue: true}\nreceivers: [{name: a}]",
    "- x",
    "global: \nroute: {receiver: a}\nreceivers: [{name: a}]",
    "global: {slack_api_url: 'http://x', slack_api_url_file: y}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    "global: {smtp_auth_password: x, smtp_auth_password_file: y}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_wait: '5m'}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_wait: 300y}\nreceivers: [{name: a}]",
    "route: {receiver: a, group_by: []}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: [{receiver: a, continue: yes}]}\nreceivers: [{name: a}]",
    "route: {receiver: a, routes: {}}\nreceivers: [{name: a}]",
    "global: {opsgenie_api_key: x, opsgenie_api_key_file: y}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    "global: {victorops_api_key: x, victorops_api_key_file: y}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    # One of everything.
    """
global:
  resolve_timeout: 10m
  smtp_smarthost: "mail.example.com:587"
  smtp_from: wakeless@example.com
  smtp_auth_username: wakeless@example.com
  smtp_auth_password: pa:ss/word
  slack_api_url: https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX
  wechat_api_secret: SECRET
  wechat_api_corp_id: ww1
  opsgenie_api_key: 11111111-2222-3333-4444-555555555555
  victorops_api_key: 22222222-2222-3333-4444-555555555555
templates: ["templates/*.tmpl"]
route:
  receiver: all
  group_by: [alertname, cluster]
  routes:
    - matchers: ['severity=~"critical|page"', team!="db"]
      receiver: all
      group_by: ["..."]
      group_wait: 10s
      continue: true
      routes:
        - match: {service: web}
          match_re: {zone: "eu-.*"}
          mute_time_intervals: [nights]
          active_time_intervals: [work]
    - receiver: all
      repeat_interval: 1d
time_intervals:
  - name: nights
    time_intervals:
      - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "07:00"}]
        location: Asia/Shanghai
mute_time_intervals:
  - name: work
    time_intervals:
      - {weekdays: ["monday:friday"], days_of_month: ["1:-1"], months: ["january:12"], years: ["2020:2030"]}
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: ['severity=~"warning|info"']
    equal: [alertname, cluster]
receivers:
  - name: all
    email_configs: [{to: "Ann <ann@example.com>, bob@example.com", headers: {Subject: x}, send_resolved: true}]
    webhook_configs:
      - {url: "http://hook.example.com/a?b=c", max_alerts: 5, http_config: {basic_auth: {username: u, password: p}}}
      - {url: "https://open.feishu.cn/open-apis/bot/v2/hook/11111111-2222-3333-4444-555555555555"}
    slack_configs: [{channel: "#ops", title: x}]
    discord_configs: [{webhook_url: "https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz"}]
    telegram_configs: [{bot_token: "123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI", chat_id: -100}]
    pushover_configs: [{user_key: uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu, token: tttttttttttttttttttttttttttttt, retry: 1m}]
    wechat_configs: [{agent_id: "1000002", to_user: ann|bob, to_party: "2"}]
    opsgenie_configs: [{priority: P1}]
    victorops_configs: [{routing_key: web}]
    pagerduty_configs: [{routing_key: k}]
    sns_configs: [{topic_arn: "arn:aws:sns:us-east-2:123456789012:x", sigv4: {region: us-east-2}}]
    webex_configs: [{room_id: r, http_config: {authorization: {credentials: x}}}]
""",
)
