"""Who acts: the process that claims tasks, hands them to its crew and writes down what became of them."""
