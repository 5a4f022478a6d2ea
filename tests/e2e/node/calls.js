/*
 * Makes every call of the official Node client, and prints what each came to as one JSON object by call.
 *
 * Reads from standard input: {base_url, service_id, api_key, wrong_api_key, templates: {sms, email, letter},
 * sms_sender_id, reference, pdf: Base64, pdf_letter_id, unknown_id}. An answer is printed as {status, data}, an
 * error of the client as {error: {status, data}}, and what is neither as it is.
 */
const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const packages = createRequire(path.join(process.argv[2], 'package.json'));
const { NotifyClient } = packages('notifications-node-client');
const axios = packages('axios');

async function outcome(call) {
  try {
    const answer = await call();
    return answer.status === undefined ? answer : { status: answer.status, data: answer.data };
  } catch (error) {
    if (error.response === undefined) return { refused: String(error.message || error) };
    return { error: { status: error.response.status, data: error.response.data } };
  }
}

async function main() {
  const given = JSON.parse(fs.readFileSync(0, 'utf8'));
  const { templates, reference } = given;
  const client = new NotifyClient(given.base_url, given.api_key);
  const threeArguments = new NotifyClient(given.base_url, given.service_id, given.api_key);
  const wrong = new NotifyClient(given.base_url, given.wrong_api_key);
  const ownTransport = new NotifyClient(given.base_url, given.api_key);
  ownTransport.setClient(axios.create({ headers: { 'X-Client': 'own' } }));
  const direct = new NotifyClient(given.base_url, given.api_key);
  direct.setProxy(false);
  const personalisation = { name: 'Amala', date: '1 December' };
  const address = { address_line_1: 'A. Person', address_line_2: '1 High Street', address_line_3: 'SW14 6BF' };
  const pdf = Buffer.from(given.pdf, 'base64');
  const file = client.prepareUpload(pdf, {
    filename: 'report.pdf', confirmEmailBeforeDownload: false, retentionPeriod: '4 weeks',
  });

  const made = {};
  const steps = {
    sendSms: () => client.sendSms(templates.sms, '07400123456', {
      personalisation, reference, smsSenderId: given.sms_sender_id,
    }),
    sendEmail: () => client.sendEmail(templates.email, 'amala@example.com', {
      personalisation: { ...personalisation, name: '*Amala*', 'needs parking': 'no' },
      reference,
      oneClickUnsubscribeURL: 'https://example.com/unsubscribe',
      sanitiseContentFor: ['name'],
    }),
    sendEmailWithFile: () => client.sendEmail(templates.email, 'amala@example.com', {
      personalisation: { ...personalisation, name: file, 'needs parking': 'no' }, reference,
    }),
    sendLetter: () => client.sendLetter(templates.letter, {
      personalisation: { ...personalisation, ...address }, reference,
    }),
    sendPrecompiledLetter: () => client.sendPrecompiledLetter(reference, pdf, 'first'),
    getNotificationById: () => client.getNotificationById(made.sendSms.data.id),
    getNotifications: () => client.getNotifications(undefined, undefined, reference),
    getNotificationsOfOneType: () => client.getNotifications('letter', undefined, reference),
    getNotificationsOfOneStatus: () => client.getNotifications('sms', 'validation-failed', reference),
    getNotificationsOlderThan: () => client.getNotifications(
      undefined, undefined, reference, made.sendEmail.data.id),
    getPdfForLetterNotification: async () => ({
      pdf: (await client.getPdfForLetterNotification(given.pdf_letter_id)).subarray(0, 4).toString(),
    }),
    getPdfOfUnknown: () => client.getPdfForLetterNotification(given.unknown_id),
    getTemplateById: () => client.getTemplateById(templates.sms),
    getTemplateByIdAndVersion: () => client.getTemplateByIdAndVersion(templates.email, 1),
    getAllTemplates: () => client.getAllTemplates(),
    getAllTemplatesOfOneType: () => client.getAllTemplates('letter'),
    previewTemplateById: () => client.previewTemplateById(templates.sms, personalisation),
    previewWithoutValues: () => client.previewTemplateById(templates.sms),
    getReceivedTexts: () => client.getReceivedTexts(),
    getReceivedTextsOlderThan: () => client.getReceivedTexts(
      made.getReceivedTexts.data.received_text_messages[0].id),
    threeArguments: () => threeArguments.getTemplateById(templates.sms),
    setClient: () => ownTransport.getTemplateById(templates.sms),
    setProxy: () => direct.getTemplateById(templates.sms),
    wrongKey: () => wrong.getAllTemplates(),
    wrongNumber: () => client.sendSms(templates.sms, 'x', { personalisation }),
    unknownNotification: () => client.getNotificationById(given.unknown_id),
    unknownTemplate: () => client.getTemplateById(given.unknown_id),
    unknownOption: () => client.sendSms(templates.sms, '07400123456', { no: 1 }),
  };
  for (const [name, call] of Object.entries(steps)) made[name] = await outcome(call);
  process.stdout.write(JSON.stringify(made));
}

main();
