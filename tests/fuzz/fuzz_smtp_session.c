/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_smtp_session.c - any bytes as all that a client says in one session.
 *
 * The first byte chooses how the server is set up and how busy its spool is,
 * the second one into what pieces the rest is cut. Whatever comes: replies are
 * lines of SMTP, each "stored" has one message and the other way round, what is
 * stored has no line end but CRLF, and nothing is left behind.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "smtp_fake.h"

static struct config_listen listeners[4];
static struct addr_prefix own;

/* One for each way to be set up: bit 0 repairs, bit 1 trusts. */
static void server_open(void)
{
	static bool open;

	if (open)
		return;
	open = true;
	log_init("fuzz", LOG_ERROR_, LOG_TEXT);
	sluice_assert(addr_prefix_parse("127.0.0.0/8", &own) == 0);
	for (uint32_t i = 0; i < 4; i++)
		listeners[i] = (struct config_listen){
			.size_max_bytes = 4096,
			.allow = &own,
			.allow_count = 1,
			.trust = &own,
			.trust_count = i >> 1,
			.rcpts_max = 5,
			.bare_newline = i & 1 ? BARE_NORMALISE : BARE_REJECT,
		};
	fake_open(listeners, 4);
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static uint32_t check_replies(void)
{
	const char *line = fake_said;
	uint32_t stored = 0;

	sluice_assert(strlen(fake_said) == fake_said_len);
	while (*line) {
		const char *end = strstr(line, "\r\n");

		sluice_assert(end && end - line > 4);
		sluice_assert(digit(line[0]) && digit(line[1]) &&
			      digit(line[2]));
		sluice_assert(line[3] == ' ' || line[3] == '-');
		for (const char *c = line; c < end; c++)
			sluice_assert(*c >= ' ' && *c < 0x7f);
		stored += strncmp(line, "250 2.0.0 stored", 16) == 0;
		line = end + 2;
	}
	return stored;
}

static void check_message(const struct fake_message *m)
{
	sluice_assert(m->len > 40 && m->env.rcpt_count > 0);
	sluice_assert(strncmp(m->content, "Received: from ", 15) == 0);
	sluice_assert(memcmp(m->content + m->len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < m->len; i++) {
		if (m->content[i] == '\n')
			sluice_assert(m->content[i - 1] == '\r');
		if (m->content[i] == '\r')
			sluice_assert(m->content[i + 1] == '\n');
	}
	for (uint32_t i = 0; i < m->env.rcpt_count; i++) {
		const struct text *a = &m->rcpts[i].address;

		sluice_assert(a->len > 2 && memrchr(a->data, '@', a->len));
		sluice_assert(!memchr(a->data, '\n', a->len));
	}
}

/* A line, or some bytes. */
static size_t piece(uint8_t how, const uint8_t *data, size_t left)
{
	const uint8_t *lf = memchr(data, '\n', left);
	size_t n = how & 1 ? how : 1u << (how >> 4);

	if (how & 2 && lf)
		n = (size_t)(lf - data) + 1;
	return n < left ? n : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake_spool spool = {0};
	size_t at = 2, step;

	if (size < 2)
		return 0;
	server_open();
	spool.again_every = data[0] & 4 ? 3 : 0;
	spool.commit = (data[0] & 0x18) == 0x18 ? -5 : 0;
	fake_connect_to(data[0] & 3, &spool);
	for (; at < size; at += step) {
		step = piece(data[1], data + at, size - at);
		fake_send(data + at, step);
	}
	if (data[0] & 0x20)
		fake_time_pass(301 * NS_PER_S);
	fake_hangup();
	sluice_assert(fake_over() && fake_open_messages == 0);
	sluice_assert(check_replies() == fake_stored_count);
	for (uint32_t i = 0; i < fake_stored_count && i < FAKE_MESSAGES; i++)
		check_message(&fake_stored[i]);
	return 0;
}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const char *const samples[] = {
		"@\xe0"
		"EHLO c.test\r\n",
		"@bEHLO c.test\r\nMAIL FROM:<a@s.test> SIZE=9 BODY=8BITMIME "
		"RET=HDRS ENVID=a+2Bb AUTH=<>\r\nRCPT TO:<b@d.test> NOTIFY="
		"DELAY ORCPT=rfc822;b@d.test\r\nDATA\r\nReceived: x\r\n\r\n"
		"..x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\n"
		"BDAT 5\r\n.a\r\n.BDAT 3 LAST\r\nabcQUIT\r\n",
		"CbEHLO c\r\nXCLIENT ADDR=IPV6:::1 LOGIN=x NAME=y\r\nEHLO c\r\n"
		"XFORWARD IDENT=1 SOURCE=LOCAL\r\nMAIL FROM:<a@s.test>\r\n"
		"RCPT TO:<\"b c\"@d.test>\r\nDATA\r\na\n.\n\r\r\n.\r\nQUIT\r\n",
		"AbHELO c\r\nMAIL FROM: <a@s.test>\r\nRCPT "
		"TO:<b@[10.0.0.1]>\r\n"
		"RCPT TO:<c@d.test>\r\nDATA\r\n\n..x\r.\r\n\r\n.\r\nRSET\r\n"
		"NOOP\r\nVRFY x\r\nHELP\r\nEXPN y\r\nGET / HTTP/1.1\r\n",
		"D\x42"
		"EHLO c\r\nMAIL FROM:<\xc3\xa4@s.test> SMTPUTF8\r\n"
		"RCPT TO:<b@\xc3\xb6.test>\r\nBDAT 20 LAST\r\n"
		"Received: a\r\n\r\n\xc3\xb6..x"
		"BDAT 9999\r\nRSET\r\nBDAT x\r\n",
	};

	if (number >= sizeof(samples) / sizeof(samples[0]) ||
	    strlen(samples[number]) > max)
		return 0;
	memcpy(out, samples[number], strlen(samples[number]));
	return strlen(samples[number]);
}
