/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_reply.c - replies into the buffer that is sent next.
 *
 * Called by the other files of the server, role worker.
 * Bound: SMTP_REPLY_MAX per reply; callers look at smtp_out_room() first.
 */
#include <stdarg.h>
#include <stdio.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"

bool smtp_out_room(const struct smtp_session *s)
{
	return s->out.used[s->out.filling] + SMTP_REPLY_MAX <= SMTP_OUT_BYTES;
}

void smtp_reply(struct smtp_session *s, const char *fmt, ...)
{
	char *to = s->out.data[s->out.filling];
	uint32_t used = s->out.used[s->out.filling];
	uint32_t room = SMTP_OUT_BYTES - used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to + used, room, fmt, ap);
	va_end(ap);
	sluice_assert(n >= 0 && (uint32_t)n + 2 <= room);
	used += (uint32_t)n;
	to[used++] = '\r';
	to[used++] = '\n';
	s->out.used[s->out.filling] = used;
}
