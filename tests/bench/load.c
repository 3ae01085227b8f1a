/* Both ends of many calls: a page that speaks SRTP and a PBX that speaks plain RTP, 50 packets a second each.

   Every packet bears the moment it was sent, in codes that survive G.711 decoding and encoding. Sends are spread evenly over
   20 ms. Sessions are those that pylibsrtp made; the library is the one inside its extension module. RTCP is sent on both
   sides every five seconds, as browsers and PBXs do, and what comes is counted and not read. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

extern int srtp_protect(void *session, void *packet, int *length);
extern int srtp_unprotect(void *session, void *packet, int *length);
extern int srtp_protect_rtcp(void *session, void *packet, int *length);

enum { PAGE, PBX, SIDES };
enum { STAMP = 11, VOICE = 160, HEADER = 12, PERIOD = 20000000, REPORT = 250 /* packets */ };

struct side {
    int descriptor, payload_type;
    struct sockaddr_in to;
    uint16_t sequence;
    uint32_t timestamp, ssrc, theirs;
};

struct call {
    struct side side[SIDES];
    void *protect, *unprotect;
};

/* What the caller reads: counts per direction, `arrived` and `lateness` by the side that received. */
struct result {
    int64_t sent[SIDES], arrived[SIDES], refused, others, behind_ns, samples[SIDES];
};

static struct call *calls;
static int count, room, poll_set = -1;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void load_begin(int most) {
    free(calls);
    if (poll_set >= 0) close(poll_set);
    calls = calloc(most, sizeof *calls);
    room = most;
    count = 0;
    poll_set = epoll_create1(0);
}

static int watch(struct side *side, int descriptor, const char *host, int port, int payload_type, uint32_t ssrc, int key) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = key};
    *side = (struct side){.descriptor = descriptor, .payload_type = payload_type, .ssrc = ssrc, .sequence = 1000};
    side->to.sin_family = AF_INET;
    side->to.sin_port = htons(port);
    inet_pton(AF_INET, host, &side->to.sin_addr);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    return epoll_ctl(poll_set, EPOLL_CTL_ADD, descriptor, &event);
}

int load_add(int page, const char *page_host, int page_port, int page_type, uint32_t page_ssrc, void *protect,
             void *unprotect, int pbx, const char *pbx_host, int pbx_port, int pbx_type) {
    if (count >= room) return -1;
    struct call *call = &calls[count];
    call->protect = protect;
    call->unprotect = unprotect;
    if (watch(&call->side[PAGE], page, page_host, page_port, page_type, page_ssrc, 2 * count + PAGE)) return -2;
    if (watch(&call->side[PBX], pbx, pbx_host, pbx_port, pbx_type, 0x50000000u + count, 2 * count + PBX)) return -3;
    return count++;
}

static void write_stamp(uint8_t *at, int64_t time) {
    for (int i = 0; i < STAMP; i++, time >>= 6) at[i] = 0x80 | (time & 63);
}

static int64_t read_stamp(const uint8_t *voice, int length) {
    for (int start = 0; start + STAMP <= length; start++) { /* a peer that decodes may cut its frames elsewhere */
        int64_t time = 0;
        int i = STAMP - 1;
        for (; i >= 0 && (voice[start + i] & 0xC0) == 0x80; i--) time = time << 6 | (voice[start + i] & 63);
        if (i < 0) return time;
    }
    return -1;
}

static void put16(uint8_t *at, uint16_t value) { at[0] = value >> 8; at[1] = value; }
static void put32(uint8_t *at, uint32_t value) { value = htonl(value); memcpy(at, &value, 4); }

static void send_voice(struct call *call, int which) {
    struct side *side = &call->side[which];
    uint8_t packet[512] = {0x80, side->payload_type};
    int length = HEADER + VOICE;
    put16(packet + 2, ++side->sequence);
    put32(packet + 4, side->timestamp += VOICE);
    put32(packet + 8, side->ssrc);
    memset(packet + HEADER, 0x55, VOICE); /* no byte of it can be taken for a stamp's */
    write_stamp(packet + HEADER, now_ns());
    if (which == PAGE) srtp_protect(call->protect, packet, &length);
    sendto(side->descriptor, packet, length, 0, (struct sockaddr *)&side->to, sizeof side->to);
}

/* A sender report with one block about what we hear (RFC 3550, 6.4.1). */
static void send_report(struct call *call, int which) {
    struct side *side = &call->side[which];
    struct sockaddr_in to = side->to;
    uint8_t packet[256] = {0x81, 200, 0, 12};
    int length = 52;
    int64_t time = now_ns();
    put32(packet + 4, side->ssrc);
    put32(packet + 8, time / 1000000000);
    put32(packet + 12, (uint32_t)((time % 1000000000) * 4.294967296));
    put32(packet + 16, side->timestamp);
    put32(packet + 28, side->theirs);
    if (which == PAGE) srtp_protect_rtcp(call->protect, packet, &length);
    else to.sin_port = htons(ntohs(to.sin_port) + 1);
    sendto(side->descriptor, packet, length, 0, (struct sockaddr *)&to, sizeof to);
}

static void receive(struct call *call, int which, int64_t since, float *lateness, int64_t most, struct result *result) {
    struct side *side = &call->side[which];
    uint8_t packet[2048];
    for (int turn = 0; turn < 16; turn++) {
        int length = recv(side->descriptor, packet, sizeof packet, MSG_DONTWAIT);
        if (length < 0) return;
        if (length <= HEADER || (packet[0] & 0xC0) != 0x80 || (packet[1] >= 192 && packet[1] <= 223)) {
            result->others++;
            continue;
        }
        if (which == PAGE && srtp_unprotect(call->unprotect, packet, &length)) {
            result->refused++;
            continue;
        }
        int start = HEADER + 4 * (packet[0] & 15);
        if (packet[0] & 0x10) start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3]);
        int64_t sent = length > start ? read_stamp(packet + start, length - start) : -1;
        memcpy(&side->theirs, packet + 8, 4);
        side->theirs = ntohl(side->theirs);
        if (sent < 0) result->others++;
        if (sent < since) continue;
        result->arrived[which]++;
        if (result->samples[which] < most) lateness[result->samples[which]++] = (now_ns() - sent) / 1e6;
    }
}

/* Speaks for `warm` and then `seconds`, which alone are counted, and listens a moment longer. `phase` becomes 1 when counting
   begins and 2 when it ends. `to_page` and `to_pbx` take up to `most` milliseconds each. */
void load_run(double warm, double seconds, float *to_page, float *to_pbx, int64_t most, volatile int *phase,
              struct result *result) {
    int64_t begin = now_ns() + 1000000, since = begin + warm * 1e9, until = since + seconds * 1e9, end = until + 500000000;
    int64_t done = 0;
    double pause = PERIOD / (2.0 * count);
    struct epoll_event events[512];
    float *lateness[SIDES] = {to_page, to_pbx};
    memset(result, 0, sizeof *result);
    for (int64_t now = now_ns(); now < end; now = now_ns()) {
        if (*phase == 0 && now >= since) *phase = 1;
        if (*phase == 1 && now >= until) *phase = 2;
        for (int64_t due; now < until && now >= (due = begin + (int64_t)(done * pause)); done++) {
            struct call *call = &calls[done % (2 * count) / 2];
            int which = done % 2;
            if (now >= since) {
                result->sent[which]++;
                if (now - due > result->behind_ns) result->behind_ns = now - due;
            }
            send_voice(call, which);
            if ((call->side[which].sequence + done % (2 * count)) % REPORT == 0) send_report(call, which);
            now = now_ns();
        }
        int64_t next = now < until ? begin + (int64_t)(done * pause) : end;
        int64_t left = next > now ? next - now : 0;
        struct timespec wait = {left / 1000000000, left % 1000000000};
        int ready = epoll_pwait2(poll_set, events, 512, &wait, NULL);
        for (int i = 0; i < ready; i++) {
            int key = events[i].data.u32;
            receive(&calls[key / 2], key % 2, since, lateness[key % 2], most, result);
        }
    }
}
