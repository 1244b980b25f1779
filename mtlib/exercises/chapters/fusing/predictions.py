"""What chapter 00 asks to be guessed before it measures."""

from __future__ import annotations

from mtlib.exercises.predictions import Prediction

PREDICTIONS = [
    Prediction(
        name="intermediate",
        unit="bytes",
        right="8 * m*k*n",
        wrong={
            "8 * m*n": "that is the result; it has one number where the intermediate has k",
            "8 * (m*k + k*n)": "those are the operands; each row meets each column, and leaves k "
            "products",
        },
    ),
    Prediction(
        name="saved",
        unit="bytes",
        right="8 * (m*k + k*n + m*k*n)",
        wrong={
            "8 * m*k*n": "that is what the reduce saves; the zip saves its two operands too",
            "8 * (m*k + k*n)": "that is what the zip saves; the reduce saves what it added up",
            "8 * 3*m*k*n": "the zip saves views with stride 0, which hold on to no more than the "
            "memory of M and N",
        },
    ),
    Prediction(
        name="fused_reads",
        unit="elements",
        right="2 * m*k*n",
        wrong={
            "m*k + k*n": "that is each element once; the plain loop reads a row of M again for "
            "each column of N, and a column of N again for each row of M",
            "m*k*n": "that is one for each product; a product has two factors",
            "3 * m*k*n": "that is what the zip and the reduce read; the products are no longer "
            "read back",
        },
    ),
    Prediction(
        name="fused_peak",
        unit="bytes",
        right="8 * m*n",
        wrong={
            "8 * m*k*n": "that is the intermediate, and there is none any more",
            "8 * (m*k + k*n + m*n)": "the operands were there before, and nothing is set aside for "
            "them",
            "0": "the result has to be somewhere",
        },
    ),
    Prediction(
        name="travel",
        unit="bytes",
        right="8 * (m*k + k*n + 2*m*k*n + m*n)",
        wrong={
            "8 * (m*k + k*n + m*n)": "those are the three matrices; the products travel too, out "
            "and back",
            "8 * (m*k + k*n + m*k*n)": "that is the zip; the reduce fetches the products again, "
            "and stores the result",
        },
    ),
    Prediction(
        name="step_peak",
        unit="bytes",
        right="8 * (2*m*k*n + m*n + k*n)",
        wrong={
            "8 * m*k*n": "that is the products from forward; backward makes two more, and both are "
            "alive at once",
            "8 * 3*m*k*n": "the products from forward are freed before backward makes its two",
        },
    ),
]
