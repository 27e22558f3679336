// The services that a channel can lead to, with the form of their addresses: what Apprise takes, and webhooks as they are.
// No DOM.

import { t } from "../i18n.js";

/** [name, example of the address, where its parts come from]. */
export const SERVICES = () => [
  [t("WeCom group robot"), "wecombot://BOTKEY", t("Group settings → robots: the part after key= of the webhook address.")],
  [t("Feishu group robot"), "feishu://TOKEN", t("Group settings → bots → custom bot: the last part of the webhook address.")],
  [t("DingTalk group robot"), "dingtalk://SECRET@TOKEN", t("Group settings → robots → custom: access_token, and the secret (SEC…) if signing is on.")],
  ["Telegram", "tgram://BOT_TOKEN/CHAT_ID", t("From @BotFather; the chat id is a number, of groups a negative one.")],
  ["Slack", "slack://T000/B000/XXXX", t("The three parts of an incoming webhook's address.")],
  ["Discord", "discord://WEBHOOK_ID/WEBHOOK_TOKEN", t("Channel settings → integrations → webhooks: both parts of the address.")],
  [t("E-mail"), "mailtos://USER:PASSWORD@example.com:465?smtp=smtp.example.com&to=oncall@example.com", t("mailtos:// with TLS, mailto:// without; letters such as @ in a password are written %40.")],
  [t("SMS (Twilio)"), "twilio://ACCOUNT_SID:AUTH_TOKEN@FROM_NUMBER/TO_NUMBER", t("Numbers with their country code, without +. Others: sns://, vonage://, bulksms://, d7sms://.")],
  [t("Webhook, Alertmanager's form"), "https://example.com/hook", t("Gets Alertmanager's JSON (version 4) by POST.")],
  [t("Webhook, plain JSON"), "jsons://example.com/hook", t("Gets title, message and type as JSON by POST; json:// without TLS.")],
];

const NAMES = {
  wecombot: () => t("WeCom"), feishu: () => t("Feishu"), dingtalk: () => t("DingTalk"), tgram: () => "Telegram", slack: () => "Slack", discord: () => "Discord",
  mailto: () => t("E-mail"), mailtos: () => t("E-mail"), twilio: () => "Twilio", json: () => t("Webhook"), jsons: () => t("Webhook"), http: () => t("Webhook"), https: () => t("Webhook"), webhook: () => t("Webhook"),
};

export const serviceName = (scheme) => NAMES[scheme]?.() ?? scheme;
