/* SPDX-License-Identifier: BSD-2-Clause
 *
 * headers.c - headers as a campus mail hub sees them.
 *
 * Called by message_make(). No state; writes into the message's content.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backlog/message_priv.h"
#include "sluice/assert.h"

static const char *const subjects[] = {
	"Minutes of the faculty meeting", "Your library account",
	"Exam registration closes soon",  "Re: thesis draft",
	"Invitation to the seminar",      "Room change for the lecture",
	"Fwd: travel expenses",           "Re: Re: group project"};
static const char *const spam_subjects[] = {"Your mailbox is almost full",
					    "Urgent: verify your account",
					    "You have one pending invoice"};
static const char *const agents[] = {
	"Mozilla Thunderbird 115.3", "Roundcube Webmail/1.6.5",
	"Microsoft Outlook 16.0", "Apple Mail (2.3731)"};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* RFC 5322, always in UTC and in the C locale's names. */
static void date_format(uint32_t when_s, char buf[40])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)when_s;
	struct tm tm;

	sluice_assert(gmtime_r(&t, &tm) != NULL);
	snprintf(buf, 40, "%.3s, %d %.3s %d %02d:%02d:%02d +0000",
		 &days[3L * tm.tm_wday], tm.tm_mday, &months[3L * tm.tm_mon],
		 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void received_add(struct message *m, const char *date,
			 unsigned long long queue_hint)
{
	struct buffer *b = &m->content;

	if (m->traits & MESSAGE_LOCAL) {
		buffer_add_format(b,
				  "Received: by mx.campus.test (Postfix, from "
				  "userid %u)\r\n\tid %llX; %s (UTC)\r\n",
				  1000 + m->client, queue_hint, date);
		return;
	}
	buffer_add_format(b,
			  "Received: from host%u.campus.test "
			  "(host%u.campus.test [10.0.%u.%u])\r\n"
			  "\tby mx.campus.test (Postfix) with ESMTPSA id "
			  "%llX;\r\n\t%s (UTC)\r\n",
			  m->client, m->client, m->client / 250 % 250,
			  m->client % 250 + 1, queue_hint, date);
}

static void subject_add(struct random_state *r, struct message *m)
{
	bool spam = m->account[0] && m->account[1] == '.';
	const char *subject =
		spam ? spam_subjects[random_below(r, COUNT(spam_subjects))]
		     : subjects[random_below(r, COUNT(subjects))];

	if (spam || random_percent(r, 60))
		buffer_add_format(&m->content, "Subject: %s\r\n", subject);
	else
		buffer_add_format(&m->content, "Subject: %s\r\n\t(no. %u)\r\n",
				  subject, (unsigned)random_below(r, 10000));
}

static void mime_add(struct random_state *r, struct message *m)
{
	buffer_add_format(&m->content,
			  "MIME-Version: 1.0\r\n"
			  "Content-Type: text/plain; charset=%s\r\n"
			  "Content-Transfer-Encoding: %s\r\n"
			  "User-Agent: %s\r\n",
			  m->traits & MESSAGE_8BIT ? "utf-8" : "us-ascii",
			  m->traits & MESSAGE_8BIT ? "8bit" : "7bit",
			  agents[random_below(r, COUNT(agents))]);
}

void headers_make(const struct message_generator *g, struct random_state *r,
		  struct message *m)
{
	unsigned long long hint = random_next(r) >> 24;
	struct buffer *b = &m->content;
	const char *from = m->sender[0] ? m->sender : "postmaster@campus.test";
	char date[40], id[48];

	date_format(m->arrival_s, date);
	message_id(g->options.seed, m->index, id);
	received_add(m, date, hint);
	buffer_add_format(b, MESSAGE_HEADER "%s\r\n", id);
	buffer_add_format(b, "From: %s\r\nTo: ", from);
	if (m->rcpt_count > 1)
		buffer_add_text(b, "undisclosed-recipients:;\r\n");
	else
		buffer_add_format(b, "%s\r\n", m->rcpts[0]);
	subject_add(r, m);
	buffer_add_format(b,
			  "Date: %s\r\nMessage-ID: <%s.%llx@campus.test>\r\n",
			  date, id, hint);
	mime_add(r, m);
}
