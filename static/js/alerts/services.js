// The services that a channel can lead to, with the form of their addresses: as they hand them out, or as Apprise has
// them. No DOM.

import { t } from "../i18n.js";

/** [name, example of the address, where it is found]. */
export const SERVICES = () => [
  [t("WeCom group robot"), "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…", t("Group settings → robots: the webhook address, as it is.")],
  [t("Feishu group robot"), "https://open.feishu.cn/open-apis/bot/v2/hook/…", t("Group settings → bots → custom bot: the webhook address; with signature verification add ?secret=….")],
  [t("DingTalk group robot"), "https://oapi.dingtalk.com/robot/send?access_token=…", t("Group settings → robots → custom: the webhook address; with signing add &secret=SEC….")],
  ["Telegram", "tgram://BOT_TOKEN/CHAT_ID", t("From @BotFather; the chat id is a number, of groups a negative one.")],
  ["Slack", "https://hooks.slack.com/services/…", t("The address of an incoming webhook; slack://xoxb-…/#channel for a bot, which takes pictures.")],
  ["Discord", "https://discord.com/api/webhooks/…", t("Channel settings → integrations → webhooks: the address.")],
  [t("E-mail"), "mailtos://USER:PASSWORD@mail.example.com?from=…&to=…", t("mailtos:// with TLS, mailto:// without; letters such as @ in a password are written %40.")],
  [t("SMS"), "twilio://ACCOUNT_SID:AUTH_TOKEN@FROM/TO", t("Numbers with their country code, without +. Others: sns://, vonage://, clicksend://, d7sms://.")],
  [t("Webhook, Alertmanager's form"), "https://example.com/hook", t("Gets Alertmanager's JSON (version 4) by POST.")],
  [t("Webhook, plain JSON"), "jsons://example.com/hook", t("Gets title, message and type as JSON by POST; json:// without TLS.")],
];

const NATIVE = /^https:\/\/(qyapi\.weixin\.qq\.com|open\.feishu\.cn|open\.larksuite\.com|oapi\.dingtalk\.com|hooks\.slack\.com|(\w+\.)?discord(app)?\.com)\//i;

/** How the server is to take an address: a plain http address gets Alertmanager's form, unless a service handed it out. */
export const kindOf = (url) => (/^https?:/i.test(url) && !NATIVE.test(url) ? "webhook" : "apprise");

const NAMES = {
  wecombot: () => t("WeCom"), feishu: () => t("Feishu"), lark: () => "Lark", dingtalk: () => t("DingTalk"), tgram: () => "Telegram", slack: () => "Slack", discord: () => "Discord",
  mailto: () => t("E-mail"), mailtos: () => t("E-mail"), twilio: () => "Twilio", json: () => t("Webhook"), jsons: () => t("Webhook"), http: () => t("Webhook"), https: () => t("Webhook"), webhook: () => t("Webhook"),
};

export const serviceName = (scheme) => NAMES[scheme]?.() ?? scheme;
