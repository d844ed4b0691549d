/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_postfix_write.c - whatever the reader takes, the writer writes so that
 * the reader takes it as the same.
 *
 * The input is a queue file: a broken one says nothing here. Pieces of the
 * content are as long as the input's last byte says.
 */
#include "fuzz.h"
#include "postfix_round.h"
#include "spool/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = {(uint8_t *)data, size, size}, out = {0};
	struct reading first, second;
	size_t step = size > 0 ? data[size - 1] + 1u : 1;

	if (size == 0)
		return 0;
	if (round_read(&first, &in) == 0) {
		const struct envelope *env =
			postfix_queue_envelope(first.queue);

		sluice_assert(round_write(env, &first.content, step, &out) ==
			      0);
		sluice_assert(round_read(&second, &out) == 0);
		sluice_assert(round_envelope_equal(
			env, postfix_queue_envelope(second.queue)));
		sluice_assert(first.content.len == second.content.len);
		sluice_assert(first.content.len == 0 ||
			      memcmp(first.content.data, second.content.data,
				     first.content.len) == 0);
		/* A CRLF inside a record is bare there, and a line end as
		 * soon as it is content: the other flags stay. */
		sluice_assert(((first.info.flags ^ second.info.flags) &
			       ~(SPOOL_BARE_CR_LF | SPOOL_NEEDS_STUFFING)) ==
			      0);
		round_end(&second);
	}
	round_end(&first);
	free(out.data);
	return 0;
}

#define T(s)                                                                   \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

static const struct envelope_rcpt rcpts[] = {
	{.address = T("b@y.test"),
	 .orcpt = T("rfc822;c+2Bd@y.test"),
	 .notify = NOTIFY_SUCCESS},
	{.address = T("\"two words\"@xn--bcher-kva.test")},
	{.address = T("j\xc3\xb6rg@y.test"),
	 .orcpt = T("utf-8;j\\x{F6}rg@y.test")},
};

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const char content[] =
		"Subject: x\r\n\tfold\r\n\r\n.dot\r\nbare\rcr\r\n\xff\r\n";
	struct bytes in = {(uint8_t *)content, sizeof(content) - 1, 0};
	struct bytes file = {0};
	struct envelope env = {
		.sender = T("\"odd one\"@x.test"),
		.envid = T("Q+2B1"),
		.client = T("192.0.2.77"),
		.account = T("jane@example.org"),
		.body = BODY_8BITMIME,
		.ret = RET_HDRS,
		.smtputf8 = number == 1,
		.arrival_s = 1700000000,
		.rcpt_count = number == 1 ? 3 : 2,
		.rcpts = rcpts,
	};
	size_t len;

	if (number > 1)
		return 0;
	sluice_assert(round_write(&env, &in, 7, &file) == 0 && file.len <= max);
	len = file.len;
	memcpy(out, file.data, len);
	free(file.data);
	return len;
}
