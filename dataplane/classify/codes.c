/* SPDX-License-Identifier: BSD-2-Clause
 *
 * codes.c - what the numbers of a reply say when no rule knows its words.
 *
 * Called by classify_reply(), any thread; tables only. The subjects and
 * details are those of RFC 3463, RFC 7372 (authentication), RFC 7504 and
 * 7505 (hosts that take no mail) and the registry that they opened. 5.7.1 and
 * its like are used for everything, so they stay "unknown" but at the greeting.
 */
#include "classify/classify_priv.h"

struct code_class {
	uint16_t subject, detail;
	uint8_t on_4xx, on_5xx; /* enum reply_class */
};

static const struct code_class code_classes[] = {
	{1, 1, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{1, 2, CLASS_HOST_UNKNOWN_OR_RELAY_DENIED,
	 CLASS_HOST_UNKNOWN_OR_RELAY_DENIED},
	{1, 3, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{1, 4, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{1, 6, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{1, 7, CLASS_BLOCK_DOMAIN_POLICY, CLASS_BLOCK_DOMAIN_POLICY},
	{1, 8, CLASS_BLOCK_DOMAIN_POLICY, CLASS_BLOCK_DOMAIN_POLICY},
	{1, 10, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{2, 1, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_MAILBOX_DISABLED},
	{2, 2, CLASS_MAILBOX_FULL, CLASS_MAILBOX_FULL},
	{2, 3, CLASS_MESSAGE_TOO_BIG, CLASS_MESSAGE_TOO_BIG},
	{2, 4, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_UNKNOWN},
	{3, 0, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_UNKNOWN},
	{3, 1, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{3, 2, CLASS_TEMPORARY_REMOTE_ERROR,
	 CLASS_HOST_UNKNOWN_OR_RELAY_DENIED},
	{3, 3, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{3, 4, CLASS_MESSAGE_TOO_BIG, CLASS_MESSAGE_TOO_BIG},
	{3, 5, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{4, 0, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_UNKNOWN},
	{4, 1, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{4, 2, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{4, 3, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{4, 4, CLASS_HOST_UNKNOWN_OR_RELAY_DENIED,
	 CLASS_HOST_UNKNOWN_OR_RELAY_DENIED},
	{4, 5, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{4, 6, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{4, 7, CLASS_TEMPORARY_REMOTE_ERROR, CLASS_TEMPORARY_REMOTE_ERROR},
	{5, 1, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{5, 2, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{5, 3, CLASS_RATE_LIMITED, CLASS_RATE_LIMITED},
	{5, 4, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{5, 5, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{6, 0, CLASS_CONTENT_REJECTED, CLASS_CONTENT_REJECTED},
	{6, 1, CLASS_CONTENT_REJECTED, CLASS_CONTENT_REJECTED},
	{6, 2, CLASS_CONTENT_REJECTED, CLASS_CONTENT_REJECTED},
	{6, 3, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{6, 6, CLASS_CONTENT_REJECTED, CLASS_CONTENT_REJECTED},
	{6, 7, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{6, 9, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{7, 4, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{7, 5, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{7, 7, CLASS_CONTENT_REJECTED, CLASS_CONTENT_REJECTED},
	{7, 8, CLASS_HOST_UNKNOWN_OR_RELAY_DENIED,
	 CLASS_HOST_UNKNOWN_OR_RELAY_DENIED},
	{7, 10, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{7, 11, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
	{7, 17, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{7, 18, CLASS_NO_SUCH_USER, CLASS_NO_SUCH_USER},
	{7, 20, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 21, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 22, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 23, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 24, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 25, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 26, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 27, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 28, CLASS_RATE_LIMITED, CLASS_BLOCK_IP_TEMPORARY},
	{7, 29, CLASS_AUTH_REQUIRED, CLASS_AUTH_REQUIRED},
	{7, 30, CLASS_PROTOCOL_TLS, CLASS_PROTOCOL_TLS},
};

static uint8_t enhanced_class(const uint16_t enhanced[3])
{
	size_t i;

	for (i = 0; i < sizeof(code_classes) / sizeof(code_classes[0]); i++)
		if (code_classes[i].subject == enhanced[1] &&
		    code_classes[i].detail == enhanced[2])
			return enhanced[0] == 5 ? code_classes[i].on_5xx
						: code_classes[i].on_4xx;
	return CLASS_UNKNOWN;
}

static uint8_t basic_class_4xx(uint16_t code, uint8_t phase, bool text_empty)
{
	if (code == 422)
		return CLASS_MAILBOX_FULL;
	if (phase == PHASE_STARTTLS || code == 454)
		return CLASS_PROTOCOL_TLS;
	if (code == 421 || phase <= PHASE_EHLO)
		return CLASS_TEMPORARY_REMOTE_ERROR;
	/* Bare numbers mean what RFC 5321 says; with words, who knows. */
	if (text_empty && (code == 451 || code == 452))
		return CLASS_TEMPORARY_REMOTE_ERROR;
	return CLASS_UNKNOWN;
}

static uint8_t basic_class_5xx(uint16_t code, uint8_t phase)
{
	if (phase == PHASE_STARTTLS)
		return CLASS_PROTOCOL_TLS;
	if (code == 521 || code == 556)
		return CLASS_HOST_UNKNOWN_OR_RELAY_DENIED;
	/* A greeting of 5xx speaks of our address, whatever its words. */
	if (phase == PHASE_CONNECT && code >= 550)
		return CLASS_BLOCK_IP_TEMPORARY;
	if (code == 500 || (code >= 502 && code <= 504) || code == 555)
		return CLASS_PROTOCOL_TLS;
	if (code == 501 && (phase == PHASE_MAIL || phase == PHASE_EHLO))
		return CLASS_PROTOCOL_TLS;
	if (code == 530 || code == 535 || code == 551)
		return CLASS_HOST_UNKNOWN_OR_RELAY_DENIED;
	return CLASS_UNKNOWN;
}

uint8_t codes_class(uint16_t code, const uint16_t enhanced[3], uint8_t phase,
		    bool text_empty)
{
	uint8_t found = enhanced_class(enhanced);

	/* No address was named yet: an address code cannot mean one. */
	if (found != CLASS_UNKNOWN &&
	    (phase > PHASE_STARTTLS || enhanced[1] > 2))
		return found;
	if (code >= 400 && code < 500)
		return basic_class_4xx(code, phase, text_empty);
	if (code >= 500)
		return basic_class_5xx(code, phase);
	return CLASS_UNKNOWN;
}

bool codes_name_address(const uint16_t enhanced[3])
{
	if (enhanced[0] != 5)
		return false;
	if (enhanced[1] == 1)
		return (enhanced[2] >= 1 && enhanced[2] <= 3) ||
		       enhanced[2] == 10;
	return enhanced[1] == 2 && enhanced[2] == 1;
}
