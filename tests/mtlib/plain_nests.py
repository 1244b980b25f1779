"""The plain loop nests of fused operations, as their docstrings tell them: what the ledger counts.

Each is run on arrays that count their loads and stores.  What lives in a register (a total, the
largest so far) is no array; what is kept of each row for backward is.
"""

import numpy as np


def softmax(y, x, logarithm=False):
    for r in range(len(x)):
        m, total = -np.inf, 0.0
        for i in range(x.shape[1]):
            m = max(m, x[r, i])
        for i in range(x.shape[1]):
            total += np.exp(x[r, i] - m)
        for i in range(x.shape[1]):
            less = x[r, i] - m
            y[r, i] = less - np.log(total) if logarithm else np.exp(less) / total


def softmax_backward(dx, y, d):
    for r in range(len(y)):
        total = 0.0
        for i in range(y.shape[1]):
            total += d[r, i] * y[r, i]
        for i in range(y.shape[1]):
            dx[r, i] = y[r, i] * (d[r, i] - total)


def log_softmax_backward(dx, y, d):
    for r in range(len(y)):
        total = 0.0
        for i in range(y.shape[1]):
            total += d[r, i]
        for i in range(y.shape[1]):
            dx[r, i] = d[r, i] - np.exp(y[r, i]) * total


def cross_entropy(losses, largest, totals, x, labels):
    for r in range(len(x)):
        m, total = -np.inf, 0.0
        for i in range(x.shape[1]):
            m = max(m, x[r, i])
        for i in range(x.shape[1]):
            total += np.exp(x[r, i] - m)
        losses[r] = m - x[r, int(labels[r])] + np.log(total)
        largest[r], totals[r] = m, total


def cross_entropy_backward(dx, x, labels, largest, totals, d):
    for r in range(len(x)):
        label, m, total, slope = int(labels[r]), largest[r], totals[r], d[r]
        for i in range(x.shape[1]):
            dx[r, i] = slope * (np.exp(x[r, i] - m) / total - (i == label))


def layer_norm(y, means, rests, scales, x, w, b):
    n = x.shape[1]
    for r in range(len(x)):
        mean = square = 0.0
        for i in range(n):
            mean += x[r, i] / n
        for i in range(n):
            square += (x[r, i] - mean) ** 2 / n
        scale = 1 / np.sqrt(square + 1e-5)
        for i in range(n):
            y[r, i] = (x[r, i] - mean) * scale * w[i] + b[i]
        means[r], rests[r], scales[r] = mean, 0.0, scale


def layer_norm_backward(dx, dw, db, x, d, w, means, rests, scales):
    n = x.shape[1]
    for r in range(len(x)):
        mean, scale, level, slant = means[r] + rests[r], scales[r], 0.0, 0.0
        for i in range(n):
            slope = d[r, i]
            normal, g = (x[r, i] - mean) * scale, slope * w[i]
            level, slant = level + g / n, slant + g * normal / n
            dw[i] += slope * normal
            db[i] += slope
        for i in range(n):
            dx[r, i] = (d[r, i] * w[i] - level - (x[r, i] - mean) * scale * slant) * scale


def rms_norm(y, scales, x, w):
    n = x.shape[1]
    for r in range(len(x)):
        square = 0.0
        for i in range(n):
            square += x[r, i] ** 2 / n
        scale = 1 / np.sqrt(square + np.finfo(float).eps)
        for i in range(n):
            y[r, i] = x[r, i] * scale * w[i]
        scales[r] = scale


def rms_norm_backward(dx, dw, x, d, w, scales):
    n = x.shape[1]
    for r in range(len(x)):
        scale, slant = scales[r], 0.0
        for i in range(n):
            slope = d[r, i]
            normal = x[r, i] * scale
            slant += slope * w[i] * normal / n
            dw[i] += slope * normal
        for i in range(n):
            dx[r, i] = (d[r, i] * w[i] - x[r, i] * scale * slant) * scale


def _scale(q):
    return 1 / np.sqrt(q.shape[1])


def _score(q, k, mask, i, j):
    score = 0.0
    for e in range(q.shape[1]):
        score += q[i, e] * k[j, e]
    score *= _scale(q)
    return score if mask is None else score + mask[i, j]


def attention(out, lse, s, q, k, v, mask, causal):
    for i in range(len(q)):
        seen, m, total = range(min(i + 1, len(k)) if causal else len(k)), -np.inf, 0.0
        for j in seen:
            s[j] = _score(q, k, mask, i, j)
        for j in seen:
            m = max(m, s[j])
        for j in seen:
            power = np.exp(s[j] - m)
            s[j] = power
            total += power
        for c in range(v.shape[1]):
            result = 0.0
            for j in seen:
                result += s[j] * v[j, c]
            out[i, c] = result / total
        lse[i] = m + np.log(total)


def attention_backward(gradients, q, k, v, mask, out, lse, d, causal):
    dq, dk, dv, *dmask = gradients
    for i in range(len(q)):
        big_d, logarithm = 0.0, lse[i]
        for c in range(v.shape[1]):
            big_d += d[i, c] * out[i, c]
        for j in range(min(i + 1, len(k)) if causal else len(k)):
            p, dp = np.exp(_score(q, k, mask, i, j) - logarithm), 0.0
            for c in range(v.shape[1]):
                dp += d[i, c] * v[j, c]
            ds = p * (dp - big_d)
            for c in range(v.shape[1]):
                dv[j, c] += p * d[i, c]
            for e in range(q.shape[1]):
                dq[i, e] += ds * k[j, e] * _scale(q)
                dk[j, e] += ds * q[i, e] * _scale(q)
            for x in dmask:
                x[i, j] += ds
